"""Whether an auto-encoder's reconstruction helps a predictor by more than its latent costs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import torch

from helpers.codecs.causal import walk
from helpers.codecs.causal.scene import FEATURES, LIMIT, MARGIN
from helpers.codecs.causal.tables import RECIPROCAL, tables
from helpers.codecs.delta import DeltaCodec
from helpers.data import ImageSet
from helpers.experiments.beyond.training import RECIPE, Pool, fit
from helpers.models.context import ContextNet
from helpers.progress import progress

MODEL = "delta-cnn1"
# of the reconstruction, which is known everywhere before the first pixel: here, around, ahead
PLACES = ((0, 0), (0, 1), (1, 0), (0, -1), (-1, 0), (1, 1), (1, -1))
PIXELS = 5000  # of each film that are learnt
SCHEDULE = replace(RECIPE, epochs=12, measure_every=12)


def worth(training: ImageSet, test: ImageSet, seed: int = 0) -> pd.DataFrame:
    """Train the context network with and without the reconstruction as features.

    Parameters
    ----------
    training, test : ImageSet
        Films of 256 x 256, 8 bits, of different patients.
    seed : int

    Returns
    -------
    pandas.DataFrame
        A row a test film: image_id, patient_id, without, with_it (bits a pixel of the networks'
        mixtures, without mixing), latent (bits a pixel that the latent costs).
    """
    pools = [_pool(part, seed) for part in (training, test)]
    nets = {}
    for name, inputs in (("without", FEATURES), ("with_it", FEATURES + len(PLACES))):
        torch.manual_seed(seed)
        nets[name] = ContextNet(inputs=inputs)
        cut = [(features[:, :inputs], facts) for features, facts, _ in pools]
        fit(nets[name], *cut, replace(SCHEDULE, seed=seed))
    features, facts, film = pools[1]
    rows = pd.DataFrame({"image_id": test.ids, "patient_id": test.patients})
    for name, net in nets.items():
        with torch.no_grad():
            inputs = net.first.in_features
            parts = zip(features[:, :inputs].split(8192), facts.split(8192), strict=True)
            bits = torch.cat([net.cpu().bits(*part) for part in parts]).numpy()
        rows[name] = [float(bits[film == k].mean()) for k in range(len(test))]
    codec = DeltaCodec(MODEL)
    rows["latent"] = [8 * len(codec.predict(image)[0]) / image.size for image in test]
    return rows


def _pool(films: ImageSet, seed: int) -> tuple[*Pool, np.ndarray]:
    """Features with the reconstruction's behind them, facts, and which film each pixel is of."""
    chance, codec, found = np.random.default_rng(seed), DeltaCodec(MODEL), []
    for k, film in enumerate(progress(list(films), "films")):
        chosen = chance.random(film.shape) < PIXELS / film.size
        features, facts = walk.observe(film - film.min(), chosen)
        made = codec.predict(film)[1].astype(np.int64) - int(film.min())
        wide = 16 * np.pad(made, MARGIN, mode="edge")
        rows, columns = (place + MARGIN for place in np.nonzero(chosen))
        more = [wide[rows + dy, columns + dx] - facts[:, 0] for dy, dx in PLACES]
        scale = tables()[RECIPROCAL + facts[:, 1]]
        units = ((np.stack(more, 1) * scale[:, None] + (1 << 19)) >> 20).clip(-LIMIT, LIMIT)
        both = np.concatenate([features, units.astype(np.int16)], 1)
        found.append((both, facts, np.full(len(facts), k)))
    features, facts, film = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = chance.permutation(len(features))
    return torch.from_numpy(features[order]), torch.from_numpy(facts[order]), film[order]

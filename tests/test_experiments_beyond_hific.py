"""Training of the counterpart of HiFiC: what it starts from, that it learns, that it resumes."""

import copy

import numpy as np
import pytest
import torch
from codec_images import phantom
from torch import nn

from helpers.codecs.hific import BASE
from helpers.codecs.hyperprior.model import trained
from helpers.data import ImageSet
from helpers.experiments.beyond import hific, latent_bank
from helpers.models.hyperprior.critic import Critic
from helpers.schedule import Schedule

pytestmark = pytest.mark.usefixtures("on_the_cpu")
LEVEL = 12
QUICK = Schedule(epochs=2, batch=1, learning_rate=2e-4, seed=1, measure_every=1, checkpoint_every=1)


class Edges(nn.Module):
    """Stands in for LPIPS: how much slopes differ."""

    def __init__(self):
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, first, second):
        slopes = [(part[..., 1:] - part[..., :-1]) * self.gain for part in (first, second)]
        return (slopes[0] - slopes[1]).abs().mean((1, 2, 3), keepdim=True)


@pytest.fixture(scope="module")
def bank():
    images = ImageSet(
        name="films",
        source="made",
        images=tuple(phantom(144, seed=k) for k in range(2)),
        ids=("a", "b"),
        patients=("a", "b"),
        labels=("",) * 2,
        bit_depth=8,
        licence="none",
        citation="nobody, 2020",
    )
    return latent_bank.Bank([images], trained(BASE), LEVEL)


def nets(seed=0):
    torch.manual_seed(seed)
    synthesis = trained(BASE).network.synthesis
    return nn.ModuleDict({"painter": hific.painter(synthesis, LEVEL), "critic": Critic()})


def fit(both, bank, schedule=QUICK, folder=None):
    return hific.fit(both, bank, bank, Edges(), trained(BASE).network.spread, schedule, folder)


def test_crops_and_latents_belong_together(bank):
    latents, pictures = bank.draw(3, np.random.default_rng(0))
    assert latents.shape == (3, 256, 8, 8) and pictures.shape == (3, 1, 128, 128)
    means = torch.nn.functional.avg_pool2d(64 * pictures, 16)[:, 0]
    assert float((latents[:, 0] / 16 - means).abs().mean()) < 6  # the first band is 16 times it


def test_the_painter_begins_as_the_codec_is(bank):
    before = trained(BASE).network
    latents, _ = bank.draw(1, np.random.default_rng(1))
    with torch.no_grad():
        own = before.synthesise(latents, torch.tensor([LEVEL / 63])) / 64
        ours = hific.made(nets()["painter"], latents, before.spread, before.cosines)
    assert float((own - ours).abs().max()) < 0.05


def test_beginning_leaves_the_codec_as_it_is():
    net = trained(BASE).network.synthesis
    before = copy.deepcopy(net.state_dict())
    nets()
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())


def test_both_learn_and_a_stopped_run_goes_on(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(hific, "STEPS", 3)
    both = nets()
    start = copy.deepcopy(both.state_dict())
    history = fit(both, bank, folder=tmp_path / "a")
    moved = {
        name for name, value in both.state_dict().items() if not torch.equal(value, start[name])
    }
    assert any(name.startswith("painter") for name in moved)
    assert any(name.startswith("critic") for name in moved)
    assert history["epoch"].tolist() == [1, 2] and history["held_out_loss"].notna().all()
    assert np.isfinite(history[["squared", "lpips", "believed", "critic"]]).all(axis=None)

    monkeypatch.setattr(hific, "keep", lambda *_: None)
    again = fit(nets(5), bank, folder=tmp_path / "a")
    assert again["lpips"].tolist() == history["lpips"].tolist()


def test_the_critic_is_told_what_the_file_says(bank):
    torch.manual_seed(0)
    critic = Critic().eval()
    latents, pictures = bank.draw(1, np.random.default_rng(2))
    with torch.no_grad():
        verdict = critic(pictures, latents / 100)
        assert verdict.shape == (1, 1, 16, 16)
        assert not torch.allclose(verdict, critic(pictures, latents / 50))
        assert not torch.allclose(verdict, critic(pictures + 0.1, latents / 100))


def test_the_level_comes_closest_to_the_rate(monkeypatch):
    class Made:
        def __init__(self, level, model, **options):
            self.level = level

        def encode(self, image):
            return b"0" * (10 * (self.level + 1))

    monkeypatch.setattr(hific, "HyperCodec", Made)
    image = np.zeros((20, 20), np.uint8)

    class Few:
        images = (image,)

        def spread(self, count):
            return self

    # level k takes 80 (k + 1) bits of 400 pixels
    assert hific.level_of(0.2 * 11, [Few()]) == 10
    assert hific.level_of(0.0, [Few()]) == 0
    assert hific.level_of(99.0, [Few()]) == 63

"""Fine-tuning of the paper's model: the loss is the sampler's own, and the result is found."""

import copy
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import diffusers
import numpy as np
import pytest
import safetensors.torch
import test_upscalers_hub as papers_model
import torch
from codec_images import phantom
from conftest import parse_strictly, pretend_transformers
from torch import nn

from helpers import upscalers
from helpers.data import ImageSet
from helpers.experiments.ldm_mammo import finetuning
from helpers.models import hub_tuning
from helpers.models.superres import reduce
from helpers.schedule import Schedule
from helpers.upscalers import hub

pytestmark = pytest.mark.usefixtures("on_the_cpu")
QUICK = Schedule(2, batch=2, learning_rate=1e-3, measure_every=1, checkpoint_every=1)
papers = papers_model.papers


class Text(papers_model.Text):
    """Stands in for CLIP with a weight of its own, kept as transformers keeps weights."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.tensor([2.0]))

    def forward(self, ids, output_hidden_states):
        made = super().forward(ids, output_hidden_states)
        made.hidden_states[0] = made.hidden_states[0] * self.scale
        made.pooler_output = made.pooler_output * self.scale
        return made

    def save_pretrained(self, folder):
        Path(folder).mkdir()
        safetensors.torch.save_file(self.state_dict(), Path(folder) / "model.safetensors")

    @classmethod
    def from_pretrained(cls, folder, torch_dtype, **_):
        made = cls()
        made.load_state_dict(safetensors.torch.load_file(Path(folder) / "model.safetensors"))
        return made.to(torch_dtype)


class Tokens(papers_model.Tokens):
    def save_pretrained(self, folder):
        Path(folder).mkdir()

    @classmethod
    def from_pretrained(cls, folder, **_):
        return cls()


@pytest.fixture
def pipeline(papers, monkeypatch):
    """The paper's pipeline, tiny, with latents of mean square 1; it can be written and read."""
    pretend_transformers(monkeypatch, installed=True)
    monkeypatch.setattr(sys.modules["transformers"], "PreTrainedModel", Text, raising=False)
    monkeypatch.setattr(sys.modules["transformers"], "PreTrainedTokenizer", Tokens, raising=False)
    monkeypatch.setattr(diffusers, "StableDiffusionLatentUpscalePipeline", type(papers))
    for stand_in in (Text, Tokens):  # a pipeline's index names the package of every part
        monkeypatch.setattr(stand_in, "__module__", "transformers")
        monkeypatch.setattr(sys.modules["transformers"], stand_in.__name__, stand_in, raising=False)
    papers.register_modules(text_encoder=Text(), tokenizer=Tokens())
    with torch.no_grad():
        papers.vae.quant_conv.bias[hub.CHANNELS :] -= 8  # a trained encoder is nearly certain
        size = hub_tuning.latents(papers.vae, squares(), chance()).square().mean().sqrt()
    papers.vae.register_to_config(scaling_factor=papers.vae.config.scaling_factor / float(size))
    return papers


@pytest.fixture
def source(monkeypatch):
    """Four made-up squares to learn from, and one to look at."""

    def found(name, limit):
        ids = tuple(f"{name}-{i}" for i in range(5))
        images = tuple(phantom(finetuning.SIDE, seed=i) for i in range(5))
        made = ImageSet("made", name, images, ids, ids, ("BENIGN",) * 5, 8, "none", "none")
        return made.take(range(4)), made.take([4])

    monkeypatch.delenv(hub.VARIABLE, raising=False)
    monkeypatch.setattr(finetuning, "squares", found)


def squares(count=8, side=128):
    images = np.stack([phantom(side, seed=i) for i in range(count)])
    return torch.from_numpy(images)[:, None].float() / 255


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def loss_of(pipeline, high, setting=None, seed=0):
    setting = setting or hub_tuning.setting(pipeline)
    return hub_tuning.tuning_loss(pipeline, reduce(high).clamp(0, 1), high, setting, chance(seed))


def test_the_estimate_is_the_one_that_the_sampler_computes(pipeline, monkeypatch):
    steps, step = [], pipeline.scheduler.step

    def spied(estimate, time, sample):
        steps.append((estimate, sample, pipeline.scheduler.sigmas[len(steps)]))
        return step(estimate, time, sample)

    monkeypatch.setattr(pipeline.scheduler, "step", spied)
    low = squares(1, 64)
    hub.double(pipeline, low[0, 0].numpy(), hub.noise(64, 64, seed=1), seed=5)
    estimates, seen, sigmas = map(torch.stack, zip(*steps, strict=True))
    assert len(steps) == hub.STEPS and sigmas[0] > 50 and sigmas[-1] < 0.02
    with torch.no_grad():
        known = hub_tuning.latents(pipeline.vae, low, chance(5)).expand(hub.STEPS, -1, -1, -1)
        ours = hub_tuning.denoised(
            pipeline.unet,
            seen[:, 0],
            sigmas[:, None, None, None],
            known,
            hub_tuning.setting(pipeline),
        )
    torch.testing.assert_close(ours, estimates[:, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("sigma", [0.01, 1.0, 150.0, None])
def test_silence_costs_one_at_every_sigma(pipeline, sigma):
    nn.init.zeros_(pipeline.unet.conv_out.weight)
    nn.init.zeros_(pipeline.unet.conv_out.bias)
    setting = hub_tuning.setting(pipeline)
    if sigma is not None:
        setting = replace(setting, least=sigma, most=sigma)
    with torch.no_grad():
        assert float(loss_of(pipeline, squares(), setting)) == pytest.approx(1, abs=0.05)


def test_the_target_of_the_u_net_is_as_the_module_says(pipeline):
    high, setting = squares(), hub_tuning.setting(pipeline)
    seen = {}

    def knowing(sample, times, **_):
        """Returns (sigma z - n) / s, having seen z."""
        sigma = (4 * times).exp()[:, None, None, None]
        s = (sigma**2 + 1).sqrt()
        noise = (s * sample[:, :4] - seen["clean"]) / sigma
        answer = (sigma * seen["clean"] - noise) / s
        return SimpleNamespace(sample=torch.cat([answer, 7 * answer[:, :1]], 1))

    def encode(images):
        seen["clean"] = encoded(images).latent_dist.mode() * pipeline.vae.config.scaling_factor
        draw = seen["clean"] / pipeline.vae.config.scaling_factor
        return SimpleNamespace(latent_dist=SimpleNamespace(sample=lambda _: draw))

    encoded, config = pipeline.vae.encode, pipeline.vae.config
    knows = SimpleNamespace(vae=SimpleNamespace(encode=encode, config=config), unet=knowing)
    with torch.no_grad():
        assert float(loss_of(knows, high, setting)) < 1e-6


def test_sigmas_are_drawn_log_uniformly_over_the_schedulers_range(pipeline):
    setting = hub_tuning.setting(pipeline)
    table = pipeline.scheduler.sigmas[:-1]  # the last is a zero
    assert (setting.least, setting.most) == pytest.approx((float(table[-1]), float(table[0])))
    times = []

    def spied(sample, moments, **_):
        times.append(moments)
        return SimpleNamespace(sample=torch.zeros(len(sample), 5, *sample.shape[2:]))

    spying = SimpleNamespace(vae=pipeline.vae, unet=spied)
    with torch.no_grad():
        for seed in range(20):
            loss_of(spying, squares(), setting, seed)
    least, most = np.log(setting.least) / 4, np.log(setting.most) / 4
    places = np.sort((torch.cat(times).numpy() - least) / (most - least))
    assert places[0] >= 0 and places[-1] <= 1
    # Kolmogorov and Smirnov: 1 draw of a thousand is farther from uniform
    assert np.abs(places - np.linspace(0, 1, len(places))).max() < 1.95 / np.sqrt(len(places))


def test_gradients_reach_the_u_net_alone(pipeline):
    loss_of(pipeline, squares(2)).backward()
    learns = [values for values in pipeline.unet.parameters() if values.requires_grad]
    assert all(values.grad is not None and values.grad.isfinite().all() for values in learns)
    assert sum(float(values.grad.abs().sum()) for values in learns) > 0
    frozen = [*pipeline.vae.parameters(), *pipeline.text_encoder.parameters()]
    assert frozen and all(values.grad is None for values in frozen)


def test_one_square_is_learnt_by_heart(pipeline):
    setting, high = hub_tuning.setting(pipeline), squares(1).repeat(4, 1, 1, 1)
    optimiser = torch.optim.Adam(pipeline.unet.parameters(), 1e-3)

    def cost():
        with torch.no_grad():
            return np.mean([float(loss_of(pipeline, high, setting, 99 + i)) for i in range(4)])

    before = cost()
    for seed in range(24):
        optimiser.zero_grad()
        loss_of(pipeline, high, setting, seed).backward()
        optimiser.step()
    assert cost() < 0.8 * min(before, 1)


def test_squares_that_do_not_fit_are_refused(pipeline):
    setting = hub_tuning.setting(pipeline)
    for low, high in [(squares(1, 64), squares(1, 64)), (squares(1, 32), squares(1, 64))]:
        with pytest.raises(ValueError, match="multiples of 64"):
            hub_tuning.tuning_loss(pipeline, low, high, setting)


def test_the_tuned_model_is_the_one_that_is_used(pipeline, source, tmp_path, monkeypatch, capfd):
    folder = tmp_path / "new" / "tuned"
    before = {part: copy.deepcopy(getattr(pipeline, part).state_dict()) for part in hub.PARTS}
    card = finetuning.finetune(pipeline, ["made"], folder, QUICK)
    assert parse_strictly(folder.with_name("tuned.json")) == card
    assert card["stored_as"] == "float32" and np.isfinite(card["history"][-1]["held_out_psnr"])
    assert sorted(path.name for path in folder.parent.iterdir()) == ["tuned", "tuned.json"]

    monkeypatch.setenv(hub.VARIABLE, str(folder))
    found, sentence = hub.load(download=False)
    assert sentence == "it was read from the folder that MEDCODEC_UPSCALER names"
    for part in hub.PARTS:
        read = getattr(found, part).state_dict()
        assert all(map(torch.equal, read.values(), getattr(pipeline, part).state_dict().values()))
        changed = not all(map(torch.equal, read.values(), before[part].values()))
        assert changed == (part == "unet")
    assert finetuning._digest(found) != card["began_with_sha256"]
    upscaler, image = upscalers.find(), phantom(64, seed=9)
    assert upscaler.name == upscalers.PAPERS
    tuned = upscaler(image)
    pipeline.unet.load_state_dict(before["unet"])
    monkeypatch.setattr(hub, "load", lambda download: (pipeline, "it was made here"))
    assert not np.array_equal(upscalers.find()(image), tuned)
    assert "".join(capfd.readouterr()) == ""


def test_a_pipeline_is_replaced_and_nothing_else(pipeline, source, tmp_path):
    folder = tmp_path / "tuned"
    folder.mkdir()
    first = finetuning.finetune(pipeline, ["made"], folder, replace(QUICK, epochs=1))
    second = finetuning.finetune(pipeline, ["made"], folder, replace(QUICK, epochs=1))
    assert second["began_with_sha256"] != first["began_with_sha256"]
    assert parse_strictly(tmp_path / "tuned.json") == second
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tuned", "tuned.json"]
    for name in ("tuned/unet", "tuned.json"):
        with pytest.raises(ValueError, match="something other than a pipeline"):
            finetuning.finetune(pipeline, ["made"], tmp_path / name, QUICK)


def test_half_precision_is_given_back(pipeline, source, tmp_path):
    pipeline.to(torch.float16)
    card = finetuning.finetune(pipeline, ["made"], tmp_path / "tuned", replace(QUICK, epochs=1))
    file = tmp_path / "tuned" / "unet" / "diffusion_pytorch_model.safetensors"
    assert {values.dtype for values in safetensors.torch.load_file(file).values()} == {
        torch.float16
    }
    assert card["stored_as"] == "float16" and np.isfinite(card["history"][0]["loss"])


def test_a_training_that_diverged_replaces_nothing(pipeline, source, tmp_path):
    wild = replace(QUICK, epochs=1, learning_rate=1e30)
    with pytest.raises(ValueError, match="training diverged"):
        finetuning.finetune(pipeline, ["made"], tmp_path / "tuned", wild)
    assert not any(tmp_path.iterdir())


def test_an_interrupted_training_goes_on(pipeline, source, tmp_path):
    whole, kept = replace(QUICK, epochs=3), {"checkpoints": tmp_path / "kept"}
    begin = copy.deepcopy(pipeline.unet.state_dict())
    stopped = finetuning.finetune(
        pipeline, ["made"], tmp_path / "a", replace(whole, minutes=0.0), **kept
    )
    assert [row["epoch"] for row in stopped["history"]] == [1]
    (folder,) = (tmp_path / "kept").iterdir()
    pipeline.unet.load_state_dict(begin)
    card = finetuning.finetune(pipeline, ["made"], tmp_path / "b", whole, **kept)
    assert [row["epoch"] for row in card["history"]] == [1, 2, 3]
    assert card["history"][0] == stopped["history"][0]
    assert list((tmp_path / "kept").iterdir()) == [folder]
    # the tuned model is another one to begin with: its training is not that one
    finetuning.finetune(pipeline, ["made"], tmp_path / "c", replace(whole, epochs=1), **kept)
    assert len(list((tmp_path / "kept").iterdir())) == 2

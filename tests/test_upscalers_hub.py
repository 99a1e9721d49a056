"""The paper's model: every way of not having it is one sentence, and soon; how it is called."""

import contextlib
import importlib
import importlib.util
import socket
import sys
import threading
import time
from types import ModuleType, SimpleNamespace

import huggingface_hub.constants
import numpy as np
import pytest
import torch
from conftest import pretend_transformers
from torch import nn

from helpers import upscalers
from helpers.upscalers import hub

pytestmark = pytest.mark.usefixtures("one_thread")
PIPELINE = "diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion_latent_upscale"


@pytest.fixture(autouse=True)
def empty_machine(tmp_path, monkeypatch):
    """Nothing in the cache, transformers as if it were installed, a hub that refuses."""
    for name in (hub.VARIABLE, "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{port}")
    pretend_transformers(monkeypatch, installed=True)


@contextlib.contextmanager
def answering(answer=None):
    """Yield the address of a server that gives one answer to everybody, or none at all."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.recv(65_536)
                    connection.sendall(answer)
                    connection.close()

        if answer is not None:
            threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def folder_of_a_pipeline(root):
    for part in hub.PARTS:
        (root / part).mkdir(parents=True)
        (root / part / "model.safetensors").touch()
    (root / "model_index.json").write_text("{}")
    return root


def test_a_hub_that_refuses_is_one_sentence(capfd):
    pipeline, sentence = hub.load()
    assert pipeline is None
    assert sentence == "it is not on this machine, and the hub cannot be reached"
    assert hub.load(download=False) == (None, "it is not on this machine")
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", None])
def test_a_hub_without_the_model_or_without_an_answer(status, monkeypatch):
    monkeypatch.setattr(hub, "ANSWER_SECONDS", 0.5)
    answer = status and f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    begin = time.monotonic()
    with answering(answer) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        folder, sentence = hub.fetch()
    assert folder is None and "the hub cannot be reached" in sentence
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_nobody_is_asked(variable, monkeypatch):
    monkeypatch.setenv(variable, "1")
    monkeypatch.setattr(hub, "within", lambda *_: pytest.fail("the hub was asked"))
    assert "switched off here" in hub.load()[1]


def test_a_model_that_does_not_arrive_whole(tmp_path, monkeypatch):
    answers = iter(["metadata", str(tmp_path)])
    monkeypatch.setattr(hub, "within", lambda *_: next(answers))
    assert hub.fetch() == (
        None,
        "the hub answers, but the model could not be fetched whole",
    )


def test_a_task_that_is_late_or_fails_has_no_result():
    begin = time.monotonic()
    assert hub.within(0.05, lambda: time.sleep(5)) is None
    assert time.monotonic() - begin < 2
    assert hub.within(5, lambda: 1 / 0) is None
    assert hub.within(5, lambda: "done") == "done"


def test_a_folder_that_cannot_be_loaded_is_a_reason(tmp_path, monkeypatch, capfd):
    folder = folder_of_a_pipeline(tmp_path / "named")
    monkeypatch.setenv(hub.VARIABLE, str(folder))
    pipeline, sentence = hub.load()
    assert pipeline is None
    assert sentence.startswith("it cannot be loaded from the folder that MEDCODEC_UPSCALER names (")
    assert "\n" not in sentence
    assert "".join(capfd.readouterr()) == ""


def test_the_cache_is_used_when_it_is_whole(tmp_path, monkeypatch):
    root = tmp_path / "cache" / "models--stabilityai--sd-x2-latent-upscaler"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text("0" * 40)
    snapshot = folder_of_a_pipeline(root / "snapshots" / ("0" * 40))
    monkeypatch.setattr(hub, "_open", lambda folder: folder)
    found, sentence = hub.load()
    assert found == snapshot and sentence == "it was read from the hub's cache on this machine"
    (snapshot / "vae" / "model.safetensors").unlink()
    assert hub.load(download=False) == (None, "it is not on this machine")


class Text(nn.Module):
    """Stands in for CLIP, whose package is no dependency: one value everywhere."""

    device, dtype = torch.device("cpu"), torch.float32

    def forward(self, ids, output_hidden_states):
        return SimpleNamespace(
            hidden_states=[torch.ones(len(ids), 77, 16)], pooler_output=torch.ones(len(ids), 16)
        )


class Tokens:
    model_max_length = 77

    def __call__(self, prompt, **_):
        assert prompt == [""]
        return SimpleNamespace(input_ids=torch.zeros(len(prompt), 77, dtype=torch.long))


@pytest.fixture
def papers(monkeypatch):
    """The pipeline class of diffusers with small random networks of the paper's kinds."""
    import diffusers.loaders
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel

    stub = ModuleType("transformers")
    stub.CLIPTextModel, stub.CLIPTokenizer = Text, Tokens
    monkeypatch.setitem(sys.modules, "transformers", stub)
    mixin = type("FromSingleFileMixin", (), {})  # absent without transformers, not needed here
    monkeypatch.setattr(diffusers.loaders, "FromSingleFileMixin", mixin, raising=False)
    monkeypatch.delitem(sys.modules, PIPELINE, raising=False)
    kind = importlib.import_module(PIPELINE).StableDiffusionLatentUpscalePipeline
    monkeypatch.delitem(sys.modules, PIPELINE)
    torch.manual_seed(0)
    vae = AutoencoderKL(
        block_out_channels=(8,) * 4,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=8,
    )
    unet = UNet2DConditionModel(
        act_fn="gelu",
        attention_head_dim=8,
        norm_num_groups=None,
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("KDownBlock2D", *["KCrossAttnDownBlock2D"] * 3),
        up_block_types=(*["KCrossAttnUpBlock2D"] * 3, "KUpBlock2D"),
        mid_block_type=None,
        time_cond_proj_dim=128 + 16,
        conv_in_kernel=1,
        conv_out_kernel=1,
        cross_attention_dim=16,
        in_channels=8,
        out_channels=5,
        resnet_time_scale_shift="scale_shift",
        time_embedding_type="fourier",
        timestep_post_act="gelu",
    )
    scheduler = EulerDiscreteScheduler(prediction_type="sample")
    pipeline = kind(vae.eval(), Text(), Tokens(), unet.eval(), scheduler)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def test_the_papers_pipeline_is_called_as_in_the_paper(papers, monkeypatch, capfd):
    monkeypatch.setattr(hub, "load", lambda download: (papers, "it was made here"))
    found = upscalers.find()
    assert found.name == upscalers.PAPERS and found.why.endswith("; it was made here.")
    sizes = []
    papers.unet.register_forward_hook(lambda _, inputs, __: sizes.append(inputs[0].shape))
    image = np.random.default_rng(0).integers(0, 4096, (70, 40)).astype(np.uint16)
    large = found(image, bits=12)
    # 128 x 64 pixels after padding are 16 x 8 latents, and 32 x 16 for twice the size
    assert sizes == [(1, 8, 32, 16)] * 20
    assert large.shape == (140, 80) and large.dtype == np.uint16 and large.std() > 0
    assert large.max() <= 4095
    assert np.array_equal(large, found(image, bits=12))
    assert not np.array_equal(large, found(image, bits=12, seed=1))
    assert "".join(capfd.readouterr()) == ""

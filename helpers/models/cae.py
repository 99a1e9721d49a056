"""The convolutional auto-encoder of Baiee and Al-Assadi (2024), Tables 1 and 2."""

import copy

import torch
from torch import Tensor, nn

ENCODER_WIDTHS = (32, 64, 128, 256, 512)
DECODER_WIDTHS = (512, 256, 128, 64, 1)
SHRINK = 2 ** len(ENCODER_WIDTHS)  # side of the image over side of the latent


class Encoder(nn.Sequential):
    """Table 1: five times (3x3 convolution, swish, 2x2 max-pooling).

    Maps (N, 1, H, W) float in [0, 1] to a latent (N, 512, H/32, W/32); H and W
    are multiples of 32. A 512 x 512 slice becomes 16 x 16 x 512 numbers.
    """

    def __init__(self):
        layers, before = [], 1
        for after in ENCODER_WIDTHS:
            convolution = nn.Conv2d(before, after, kernel_size=3, padding=1)
            layers += [convolution, nn.SiLU(), nn.MaxPool2d(2)]
            before = after
        super().__init__(*layers)


class Decoder(nn.Sequential):
    """Table 2: five transposed 3x3 convolutions of stride 2, swish between them.

    Maps a latent (N, 512, h, w) to logits (N, 1, 32 h, 32 w). The sigmoid of the
    paper's last layer is left to the caller: the loss is more accurate on logits.
    """

    def __init__(self):
        layers, before = [], ENCODER_WIDTHS[-1]
        doubling = {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}
        for after in DECODER_WIDTHS:
            layers += [nn.ConvTranspose2d(before, after, **doubling), nn.SiLU()]
            before = after
        super().__init__(*layers[:-1])


class ConvAutoencoder(nn.Module):
    """Encoder and decoder together, 5,477,121 parameters.

    Taught in the chapter *A convolutional auto-encoder and Brotli*. Kernels start
    Glorot-uniform, biases at zero.
    """

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = Encoder(), Decoder()
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, image: Tensor) -> Tensor:
        """Reconstruct a batch, as logits.

        Parameters
        ----------
        image : (N, 1, H, W) float tensor in [0, 1], H and W multiples of 32

        Returns
        -------
        (N, 1, H, W) float tensor
            Logits; their sigmoid is the reconstruction in [0, 1].
        """
        return self.decoder(self.encoder(image))

    def reconstruct(self, image: Tensor) -> Tensor:
        """Reconstruct a batch in [0, 1]; no latent is quantised."""
        return torch.sigmoid(self(image).float())

    def loss(self, image: Tensor) -> Tensor:
        """Binary cross-entropy between pixels and reconstruction, the paper's objective.

        Grey values lie between 0 and 1, so the least possible loss is their mean binary
        entropy, not zero: compare losses, do not read them as errors.
        """
        return nn.functional.binary_cross_entropy_with_logits(self(image), image)


def count_parameters(model: nn.Module) -> int:
    """Number of trainable values of a network."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def forward_flops(model: nn.Module, shape: tuple[int, ...]) -> int:
    """Floating-point operations of one forward pass, counted by PyTorch on a copy.

    Parameters
    ----------
    model : torch.nn.Module
    shape : tuple of int
        Shape of the input, batch included.
    """
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.device("meta"):
        probe = torch.empty(shape)
    with counter:
        copy.deepcopy(model).to("meta")(probe)
    return counter.get_total_flops()

"""The networks in PyTorch: functions that return a module in evaluation mode, and the shapes of their inputs."""

from __future__ import annotations

from networks.densenet import densenet121
from networks.efficientnet import efficientnet_b0
from networks.generator import generator
from networks.inception import inception_v3
from networks.lstm import lstm
from networks.mlp_mixer import mlp_mixer
from networks.mobilenetv2 import mobilenetv2
from networks.resnet import resnet50
from networks.unet import unet
from networks.vgg import vgg16
from networks.vit import vit

IMAGE = (1, 3, 224, 224)
INPUTS = {
    "mobilenetv2": IMAGE,
    "resnet50": IMAGE,
    "efficientnet_b0": IMAGE,
    "vit": IMAGE,
    "generator": (1, 100, 1, 1),
    "lstm": (1, 50, 128),
    "vgg16": IMAGE,
    "densenet121": IMAGE,
    "unet": (1, 3, 128, 128),
    "mlp_mixer": IMAGE,
    "inception_v3": (1, 3, 299, 299),
}
NETWORKS = {
    "mobilenetv2": mobilenetv2,
    "resnet50": resnet50,
    "efficientnet_b0": efficientnet_b0,
    "vit": vit,
    "generator": generator,
    "lstm": lstm,
    "vgg16": vgg16,
    "densenet121": densenet121,
    "unet": unet,
    "mlp_mixer": mlp_mixer,
    "inception_v3": inception_v3,
}

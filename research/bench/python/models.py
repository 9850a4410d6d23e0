"""The trainer's models in PyTorch, with the same names of weights."""

import torch
from torch import nn
from torch.nn import functional as F

CLASSES = 10


def build(config, shape, symbols):
    model = config["model"]
    if model["kind"] == "transformer":
        return Transformer(model, symbols, config["data"]["length"])
    if model["kind"] == "lstm":
        return Lstm(model, symbols)
    return {"mlp": Mlp, "cnn": Cnn, "resnet": ResNet}[model["kind"]](model, shape)


class Mlp(nn.Module):
    def __init__(self, model, shape):
        super().__init__()
        self.names = head(self, shape.numel(), model["hidden"])

    def forward(self, x):
        return run_head(self, x.flatten(1))


def head(module, width, hidden):
    names = []
    for i, following in enumerate(hidden):
        names.append(f"fc{i + 1}")
        setattr(module, names[-1], nn.Linear(width, following))
        width = following
    module.out = nn.Linear(width, CLASSES)
    return names


def run_head(module, x):
    for name in module.names:
        x = F.relu(getattr(module, name)(x))
    return module.out(x)


class Cnn(nn.Module):
    def __init__(self, model, shape):
        super().__init__()
        channels, height, width = shape
        self.convolutions = []
        for i, following in enumerate(model["channels"]):
            self.convolutions.append(f"conv{i + 1}")
            setattr(self, self.convolutions[-1], nn.Conv2d(channels, following, 3, padding=1))
            channels, height, width = following, height // 2, width // 2
        self.names = head(self, channels * height * width, model["hidden"])

    def forward(self, x):
        for name in self.convolutions:
            x = F.max_pool2d(F.relu(getattr(self, name)(x)), 2)
        return run_head(self, x.flatten(1))


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.downsample = None
        if stride != 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x):
        around = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(x)) + around, inplace=True)


class ResNet(nn.Module):
    def __init__(self, model, shape):
        super().__init__()
        inputs = model["width"]
        self.conv1 = nn.Conv2d(shape[0], inputs, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inputs)
        self.stages = []
        for stage, count in enumerate(model["blocks"]):
            outputs = inputs if stage == 0 else 2 * inputs
            blocks = []
            for i in range(count):
                blocks.append(Block(inputs, outputs, 2 if stage > 0 and i == 0 else 1))
                inputs = outputs
            self.stages.append(f"layer{stage + 1}")
            setattr(self, self.stages[-1], nn.Sequential(*blocks))
        self.fc = nn.Linear(inputs, CLASSES)

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)), inplace=True)
        for name in self.stages:
            x = getattr(self, name)(x)
        return self.fc(x.mean((2, 3)))


class Lstm(nn.Module):
    def __init__(self, model, symbols):
        super().__init__()
        self.embedding = nn.Embedding(symbols, model["embedding"])
        self.lstm = nn.LSTM(model["embedding"], model["width"], model["layers"], batch_first=True)
        self.out = nn.Linear(model["width"], symbols)

    def forward(self, x):
        return self.out(self.lstm(self.embedding(x))[0])


class Layer(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = nn.ModuleDict(
            {"qkv": nn.Linear(width, 3 * width), "out": nn.Linear(width, width)}
        )
        self.mlp = nn.ModuleDict(
            {"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)}
        )

    def forward(self, x):
        samples, length, width = x.shape
        parts = self.attention["qkv"](self.norm1(x)).chunk(3, -1)
        q, k, v = (
            part.view(samples, length, self.heads, width // self.heads).transpose(1, 2)
            for part in parts
        )
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.attention["out"](mixed.transpose(1, 2).reshape(samples, length, width))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class Transformer(nn.Module):
    def __init__(self, model, symbols, length):
        super().__init__()
        width = model["width"]
        self.embedding = nn.Embedding(symbols, width)
        self.position = nn.Embedding(length, width)
        self.layers = nn.ModuleList(Layer(width, model["heads"]) for _ in range(model["layers"]))
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, symbols)

    def forward(self, x):
        x = self.embedding(x) + self.position(torch.arange(x.shape[1]))
        for layer in self.layers:
            x = layer(x)
        return self.out(self.norm(x))

"""BERT-small (Turc et al. 2019): 4 layers of 512, 8 heads; 28,500,992 parameters without its pooler."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Bert(nn.Module):
    def __init__(self, *, words: int = 30522, positions: int = 512, width: int = 512, depth: int = 4) -> None:
        super().__init__()
        self.words, self.places, self.parts = (nn.Embedding(n, width) for n in (words, positions, 2))
        self.norm = nn.LayerNorm(width)
        layer = nn.TransformerEncoderLayer(
            width, width // 64, 4 * width, dropout=0.0, activation="gelu", batch_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)

    def forward(self, ids: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1])
        return self.encoder(self.norm(self.words(ids) + self.places(places) + self.parts(torch.zeros_like(ids))))


def bert_small() -> nn.Module:
    return Bert().eval()

"""Operators of ONNX that stay without a cost, each with the reason; a layer of that name says that they are there."""

from __future__ import annotations

from collections.abc import Mapping

UNSUPPORTED: Mapping[str, str] = {
    "ImageDecoder": "decoding an image file is no arithmetic of a network, and its size is in the file",
    "RegexFullMatch": "text is no arithmetic",
    "StringConcat": "text is no arithmetic",
    "StringNormalizer": "text is no arithmetic",
    "StringSplit": "text is no arithmetic",
    "TfIdfVectorizer": "counts n-grams: what it does depends on its table and its values",
}

"""Architectures for images, sound, several modalities and time series."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import transformers
from hf_architectures_models import (
    Architecture,
    both,
    floats,
    image,
    image_tokens,
    tokens,
    vit,
    with_decoder,
)  # fmt: skip
from hf_architectures_text import BART, BERT, LLAMA

_A = Architecture
VIT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64, "image_size": 32,
    "patch_size": 8,
}  # fmt: skip
SPEECH = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 64,
    "conv_dim": (16, 16), "conv_stride": (5, 2), "conv_kernel": (10, 3), "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 4, "vocab_size": 32,
}  # fmt: skip


def _resnet(**options: Any) -> Any:
    return transformers.ResNetConfig(**options)


def _small_resnet(stages: tuple[str, ...]) -> Callable[[], Any]:
    return lambda: _resnet(
        embedding_size=8, hidden_sizes=[8, 16, 32, 32], depths=[1, 1, 1, 1], out_features=list(stages)
    )


DETR = {"use_timm_backbone": False, "use_pretrained_backbone": False, "backbone": None}
SMALL_DETR = {
    **DETR, "d_model": 32, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64, "num_queries": 10,
}  # fmt: skip

MEDIA: tuple[Architecture, ...] = (
    # vision
    _A("ViT", "vision", "ViTConfig", "ViTForImageClassification", image(224), VIT, closed=vit),
    _A("BEiT", "vision", "BeitConfig", "BeitForImageClassification", image(224), {**VIT, "out_indices": [0, 1, 2]}),
    _A("DINOv2", "vision", "Dinov2Config", "Dinov2Model", image(518), VIT),
    _A("Swin", "vision", "SwinConfig", "SwinForImageClassification", image(224),
       {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4}),
    _A("Swin v2", "vision", "Swinv2Config", "Swinv2ForImageClassification", image(256),
       {"image_size": 32, "patch_size": 2, "embed_dim": 16, "depths": [2, 2], "num_heads": [2, 4], "window_size": 4},
        {"image_size": 256, "window_size": 8},
       note="position biases computed from weights alone"),
    _A("ConvNeXt", "vision", "ConvNextConfig", "ConvNextForImageClassification", image(224), {"hidden_sizes": [8, 16,
       24, 32], "depths": [1, 1, 2, 1]}),
    _A("ResNet-50", "vision", "ResNetConfig", "ResNetForImageClassification", image(224), {"embedding_size": 8,
       "hidden_sizes": [8, 16, 32, 64], "depths": [1, 1, 2, 1]}),
    _A("EfficientNet-B7", "vision", "EfficientNetConfig", "EfficientNetForImageClassification", image(600, 64),
       {"width_coefficient": 0.25, "depth_coefficient": 0.1, "hidden_dim": 320, "image_size": 64}),
    _A("MobileViT", "vision", "MobileViTConfig", "MobileViTForImageClassification", image(256, 64),
       {"image_size": 64, "hidden_sizes": [16, 24, 32], "neck_hidden_sizes": [8, 8, 16, 16, 24, 24, 32]}),
    _A("SegFormer", "vision", "SegformerConfig", "SegformerForSemanticSegmentation", image(512, 64),
       {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 1, 1], "num_attention_heads": [1, 2, 2, 4],
        "decoder_hidden_size": 16}),
    _A("DPT", "vision", "DPTConfig", "DPTForDepthEstimation", image(384),
       {**VIT, "num_hidden_layers": 4, "backbone_out_indices": [0, 1, 2, 3], "neck_hidden_sizes": [8, 8, 16, 16],
        "fusion_hidden_size": 16, "patch_size": 16}),
    _A("DETR", "vision", "DetrConfig", "DetrForObjectDetection", image(512, 64),
       {**SMALL_DETR, "backbone_config": _small_resnet(("stage4",))}, {**DETR,
        "backbone_config": lambda: _resnet(out_features=["stage4"])}, values=True),
    _A("Deformable DETR", "vision", "DeformableDetrConfig", "DeformableDetrForObjectDetection", image(512, 128),
       {**SMALL_DETR, "decoder_layers": 2, "backbone_config": _small_resnet(("stage2", "stage3", "stage4"))},
       {**DETR, "backbone_config": lambda: _resnet(out_features=["stage2", "stage3", "stage4"])},
        note="attention that samples its keys"),
    _A("SAM", "vision", "SamConfig", "SamModel",
       both(image(1024, 32), lambda c, s: {"input_points": torch.zeros(1, 1, 2, 2)}),
       {"vision_config": {**VIT, "output_channels": 16, "window_size": 2, "global_attn_indexes": [1], "mlp_dim": 64,
        "num_pos_feats": 8},
        "prompt_encoder_config": {"hidden_size": 16, "image_size": 32, "patch_size": 8, "mask_input_channels": 8},
        "mask_decoder_config": {"hidden_size": 16, "mlp_dim": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
        "iou_head_hidden_dim": 16}}),
    # speech and sound
    _A("Whisper", "speech", "WhisperConfig", "WhisperForConditionalGeneration",
       with_decoder(floats("input_features", (1, 80, 3000), (1, 16, 40)), 16),
       {**BART, "num_mel_bins": 16, "max_source_positions": 20, "max_target_positions": 20, "bos_token_id": 0,
        "eos_token_id": 2}),
    _A("Whisper, one token more", "speech", "WhisperConfig", "WhisperForConditionalGeneration",
       with_decoder(floats("input_features", (1, 80, 3000), (1, 16, 40)), 16),
       {**BART, "num_mel_bins": 16, "max_source_positions": 20, "max_target_positions": 20, "bos_token_id": 0,
        "eos_token_id": 2}, step=True),
    _A("wav2vec 2.0", "speech", "Wav2Vec2Config", "Wav2Vec2Model", floats("input_values", (1, 16000), (1, 600)),
       SPEECH),
    _A("HuBERT", "speech", "HubertConfig", "HubertModel", floats("input_values", (1, 16000), (1, 600)), SPEECH),
    _A("WavLM", "speech", "WavLMConfig", "WavLMModel", floats("input_values", (1, 16000), (1, 600)), SPEECH),
    _A("EnCodec", "speech", "EncodecConfig", "EncodecModel", floats("input_values", (1, 1, 24000), (1, 1, 1280)),
       {"num_filters": 4, "hidden_size": 16, "codebook_size": 32, "codebook_dim": 16, "upsampling_ratios": [4, 4, 2],
        "num_lstm_layers": 1, "sampling_rate": 3200, "target_bandwidths": [1.0, 2.0]},
       values=True, note="LSTMs; the nearest code of each frame"),
    _A("VITS", "speech", "VitsConfig", "VitsModel", tokens(32), {"hidden_size": 16, "num_hidden_layers": 2,
       "num_attention_heads": 2, "ffn_dim": 32, "vocab_size": 99,
       "flow_size": 16, "spectrogram_bins": 9, "upsample_initial_channel": 16, "upsample_rates": [4, 4],
       "upsample_kernel_sizes": [8, 8],
       "resblock_kernel_sizes": [3], "resblock_dilation_sizes": [[1, 3]], "prior_encoder_num_flows": 2,
       "posterior_encoder_num_wavenet_layers": 2, "prior_encoder_num_wavenet_layers": 2,
       "depth_separable_num_layers": 2, "duration_predictor_flow_bins": 4, "duration_predictor_filter_channels": 16},
       values=True, note="how long the sound is depends on the weights"),
    _A("Audio Spectrogram Transformer", "speech", "ASTConfig", "ASTForAudioClassification", floats("input_values", (1,
       1024, 128), (1, 32, 16)),
       {**{k: v for k, v in VIT.items() if k != "image_size"}, "max_length": 32, "num_mel_bins": 16}),
    # several modalities
    _A("CLIP", "multimodal", "CLIPConfig", "CLIPModel", both(tokens(77), image(224)),
       {"text_config": {**BERT, "projection_dim": 16, "eos_token_id": 2}, "vision_config": {**VIT,
        "projection_dim": 16}, "projection_dim": 16}),
    _A("SigLIP", "multimodal", "SiglipConfig", "SiglipModel", both(tokens(64), image(224)),
       {"text_config": BERT, "vision_config": VIT}, note="the query of its pooling is a weight"),
    _A("BLIP", "multimodal", "BlipConfig", "BlipForConditionalGeneration", both(tokens(16), image(384)),
       {"text_config": {**BERT, "encoder_hidden_size": 32, "projection_dim": 16, "bos_token_id": 1, "eos_token_id": 2,
        "sep_token_id": 2}, "vision_config": VIT, "projection_dim": 16}),
    _A("LLaVA", "multimodal", "LlavaConfig", "LlavaForConditionalGeneration", both(image_tokens(576, 16), image(336)),
       {"text_config": lambda: transformers.LlamaConfig(**LLAMA),
        "vision_config": lambda: transformers.CLIPVisionConfig(**VIT), "image_token_id": 98}),
    _A("Qwen2-VL, text", "multimodal", "Qwen2VLConfig", "Qwen2VLForConditionalGeneration", tokens(),
       {"text_config": {**LLAMA, "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2],
        "rope_theta": 10000.0}}, "vision_config": {"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 4}}),
    _A("Perceiver", "multimodal", "PerceiverConfig", "PerceiverForMaskedLM", tokens(2048, 32, "inputs"),
       {"num_latents": 8, "d_latents": 32, "d_model": 32, "num_blocks": 1, "num_self_attends_per_block": 2,
        "num_self_attention_heads": 4, "num_cross_attention_heads": 4,
        "qk_channels": 32, "v_channels": 32, "vocab_size": 99, "max_position_embeddings": 32}, values=True),
    # forecasting
    _A("PatchTST", "time series", "PatchTSTConfig", "PatchTSTModel", lambda c, s: {"past_values": torch.randn(1,
       c.context_length, c.num_input_channels)},
       {"d_model": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "ffn_dim": 64}, {"context_length": 512,
        "num_input_channels": 7}),
)  # fmt: skip

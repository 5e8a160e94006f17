"""What a user may have set in a process, or may notice: one fingerprint of every framework that is loaded.

``fingerprint()`` maps ``framework: setting`` to a value that can be compared; ``changed`` says which differ. Nothing is
imported: a framework that is not loaded has no settings.
"""

from __future__ import annotations

import gc
import locale
import logging
import os
import random
import signal
import sys
import threading
import types
import warnings
from collections.abc import Callable
from typing import Any

Settings = dict[str, Any]

# Of what Keras keeps for a process: no caches, and no stacks of scopes, which are empty between calls.
KERAS_STATE = ("nnx_enabled", "dtype_policy", "tracking_on", "distribution", "global_seed_generator")


def fingerprint() -> Settings:
    found = {f"python: {name}": value for name, value in _python().items()}
    for name, settings in FRAMEWORKS.items():
        if _loaded(name):
            found |= {f"{name}: {setting}": value for setting, value in settings(sys.modules[name]).items()}
    return found


def changed(before: Settings, after: Settings) -> dict[str, tuple[Any, Any]]:
    """The settings that are other than before; those of a framework that was not loaded then are no change."""
    return {name: (value, after.get(name)) for name, value in before.items() if after.get(name) != value}


def _loaded(name: str) -> bool:
    """Whole, for an import that fails leaves half a package behind."""
    module = sys.modules.get(name)
    return module is not None and hasattr(module, {"mxnet": "gluon", "jax": "jit"}.get(name, "__file__"))


def _python() -> Settings:
    return {
        "random": random.getstate(),
        "path": list(sys.path),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "warnings": (list(warnings.filters), warnings.showwarning, warnings.warn),
        "collector": (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        "recursion": sys.getrecursionlimit(),
        "hooks": (sys.excepthook, sys.displayhook, sys.gettrace(), sys.getprofile(), threading.excepthook),
        "streams": (sys.stdout, sys.stderr, sys.stdin),
        "signals": [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGSEGV)],
        "logging": (logging.root.level, list(logging.root.handlers), logging.root.manager.disable),
        "locale": locale.setlocale(locale.LC_ALL),
    }


def _numpy(np: Any) -> Settings:
    return {
        # submodules are loaded when they are first asked for
        "names": {name: id(value) for name, value in vars(np).items() if not isinstance(value, types.ModuleType)},
        "errors": np.geterr(),
        "random": repr([np.asarray(part).tolist() for part in np.random.get_state()]),
        "printing": {k: v for k, v in np.get_printoptions().items() if k != "override_repr"},
    }


def _torch(torch: Any) -> Settings:
    module = torch.nn.modules.module
    hooks = [name for name in vars(module) if name.startswith("_global_") and hasattr(vars(module)[name], "keys")]
    return {
        "threads": (torch.get_num_threads(), torch.get_num_interop_threads()),
        "random": torch.get_rng_state().tolist(),
        "gradients": (torch.is_grad_enabled(), torch.is_inference_mode_enabled(), torch.is_anomaly_enabled()),
        "dtype": torch.get_default_dtype(),
        "device": str(torch.get_default_device()),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "precision": torch.get_float32_matmul_precision(),
        "autocast": (torch.is_autocast_enabled("cpu"), torch.is_autocast_cache_enabled()),
        "modes": (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack()),
        "module hooks": {name: len(vars(module)[name]) for name in hooks},
        "module call": (torch.nn.Module.__call__, torch.nn.Module.__setattr__, torch.nn.Module.__getattr__),
        "attention": (torch.backends.mha.get_fastpath_enabled(), torch.backends.cuda.math_sdp_enabled()),
        "mkldnn": torch.backends.mkldnn.enabled,
    }


def _tensorflow(tf: Any) -> Settings:
    context = sys.modules["tensorflow.python.eager.context"].context()
    threading_ = tf.config.threading
    graph = tf.compat.v1.get_default_graph()
    return {
        "eager": (tf.executing_eagerly(), tf.config.functions_run_eagerly()),
        "threads": (
            threading_.get_inter_op_parallelism_threads(),
            threading_.get_intra_op_parallelism_threads(),
        ),
        "jit": tf.config.optimizer.get_jit(),
        "optimizer": tf.config.optimizer.get_experimental_options(),
        "placement": (tf.config.get_soft_device_placement(), tf.debugging.get_log_device_placement()),
        "devices": (tf.config.get_visible_devices(), tf.config.list_logical_devices(), context.device_name),
        "old behaviour": (
            tf.compat.v1.control_flow_v2_enabled(),
            tf.compat.v1.resource_variables_enabled(),
            tf.compat.v1.executing_eagerly_outside_functions(),
        ),
        "default graph": (graph, len(graph.get_operations()), dict(graph._names_in_use)),
        "scope": tf.compat.v1.get_variable_scope().name,
        "random": (context._seed, rng.getstate() if (rng := getattr(context, "_rng", None)) else None),
        "generator": tf.random.get_global_generator().state.numpy().tolist(),
        "logging": (
            tf.get_logger().level,
            list(tf.get_logger().handlers),
            sys.modules["tensorflow.python.autograph.utils.ag_logging"].get_verbosity(),
        ),
        "precision": tf.config.experimental.tensor_float_32_execution_enabled(),
    }


def _keras(keras: Any) -> Settings:
    state = sys.modules["keras.src.backend.common.global_state"]
    loading = sys.modules["keras.src.saving.serialization_lib"]
    kinds = (bool, int, float, str, type(None))
    layer = sys.modules["keras.src.layers.layer"].Layer
    recurrent = (keras.layers.RNN, keras.layers.LSTM, keras.layers.GRU, keras.layers.SimpleRNN)
    return {
        "floatx": (keras.config.floatx(), keras.config.epsilon(), keras.config.image_data_format()),
        "backend": (keras.config.backend(), keras.config.is_flash_attention_enabled()),
        "policy": keras.config.dtype_policy().name,
        "names": dict(state.get_global_attribute("object_name_uids") or {}),
        "state": {
            name: value if type(value) in kinds else (type(value).__name__, id(value))
            for name, value in vars(state.GLOBAL_STATE_TRACKER).items()
            # beside those of names, which stand above, only what a setting is kept in: no caches, no stacks
            if value is not None
            and name
            in (
                "nnx_enabled",
                "dtype_policy",
                "tracking_on",
                "distribution",
                "symbolic_scope",
                "stateless_scope",
                "global_seed_generator",
            )
        },
        "custom objects": dict(keras.saving.get_custom_objects()),
        "safe mode": loading.in_safe_mode(),
        "logging": (keras.config.is_interactive_logging_enabled(), keras.config.is_traceback_filtering_enabled()),
        "methods": [layer.__call__] + [vars(cls).get(name) for cls in recurrent for name in ("inner_loop", "__call__")],
    }


def _jax(jax: Any) -> Settings:
    return {
        "config": dict(jax.config.values),
        "device": (jax.default_backend(), str(jax.config.jax_default_device)),
    }


def _flax(flax: Any) -> Settings:
    linen = sys.modules.get("flax.linen")
    return {
        "config": {name: getattr(flax.config, name) for name in dir(flax.config) if name.startswith("flax_")},
        "call": None if linen is None else linen.module.Module.__getattribute__,
    }


def _mxnet(mx: Any) -> Settings:
    names = getattr(mx.name.NameManager._current, "value", None)  # made when it is first asked for
    return {
        "names": dict(names._counter) if names else {},
        "scope": getattr(mx.gluon.block._BlockScope._current, "value", None),
        "gradients": (mx.autograd.is_recording(), mx.autograd.is_training()),
        "numpy style": (mx.util.is_np_array(), mx.util.is_np_shape()),
        "device": str(mx.context.current_context()),
        "attributes": dict(mx.AttrScope._current.value._attr),
        "calls": (mx.gluon.Block.__call__, mx.gluon.HybridBlock.forward),
    }


FRAMEWORKS: dict[str, Callable[[Any], Settings]] = {
    "numpy": _numpy,
    "torch": _torch,
    "jax": _jax,
    "flax": _flax,
    "tensorflow": _tensorflow,
    "keras": _keras,
    "mxnet": _mxnet,
}

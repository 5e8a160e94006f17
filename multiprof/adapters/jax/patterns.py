from typing import Any


def simplify(writer: Any, outputs: Any) -> Any:
    return writer.layers

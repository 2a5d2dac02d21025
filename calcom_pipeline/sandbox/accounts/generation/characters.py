"""Matrices of ASCII characters, a row for each text: how many short texts of one length are made at once."""

import numpy as np
from numpy.typing import NDArray

Characters = NDArray[np.uint8]
Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]


def as_texts(matrix: Characters) -> list[str]:
    """The rows as texts."""
    length = matrix.shape[1]
    text = matrix.tobytes().decode("ascii")
    return [text[at : at + length] for at in range(0, len(text), length)]

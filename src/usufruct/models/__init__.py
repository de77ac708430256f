"""Models saved and loaded without running anything: safetensors and JSON, never pickle."""

from usufruct.models.header import TensorInfo
from usufruct.models.safe import load_model, save_model

__all__ = ["TensorInfo", "load_model", "save_model"]

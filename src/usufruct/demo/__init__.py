"""The story of the README, played on real files: four hospitals, a builder, an operator."""

from usufruct.demo.story import Outcome, Scene, Story

__all__ = ["Outcome", "Scene", "Story"]

"""Instruction-tuning datasets for low-resource languages, declared as recipes."""

__version__ = "0.1.0"

"""What is installed: the wheel, the environments, the pinned requirements."""

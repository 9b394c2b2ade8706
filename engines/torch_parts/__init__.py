"""What the engines on PyTorch share: devices, number formats, seeds. Imports torch only inside its functions."""

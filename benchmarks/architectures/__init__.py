"""Every family of architectures of timm and torchvision: each layer as measured against an independent gradient."""

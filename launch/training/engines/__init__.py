"""How gradients are made, brought together and applied: whole copies of the model, or DeepSpeed's ZeRO."""

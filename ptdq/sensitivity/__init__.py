"""Which modules cost quality when they are quantized, what each gains, and what should stay float."""

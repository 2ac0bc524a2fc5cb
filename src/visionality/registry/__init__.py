"""What the control plane decided, as the data plane reads it."""

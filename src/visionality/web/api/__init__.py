"""What programs ask of the control plane: JSON under a service token, without cookies (docs/reference/api.md)."""

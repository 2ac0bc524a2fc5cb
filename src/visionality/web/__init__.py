"""The control plane: Django, and only here."""

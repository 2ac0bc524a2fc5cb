"""The data plane: a call comes in, is admitted, forwarded, metered and committed."""

"""What an end customer's app may show of its own spending: spent, cap, remaining, forecast, by day and model (B5)."""

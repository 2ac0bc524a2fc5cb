"""What each coding assistant must be told to talk to the gateway, and how that is put into its own file. Pure."""

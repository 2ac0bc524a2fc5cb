"""What an organisation decides: projects, customers, teams, agents, providers, prices."""

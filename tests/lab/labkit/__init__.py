"""The lab: a client, an origin and the appliance between them, each in its own network namespace."""

"""Every bound of the comparison, with its unit in the name."""

START_SECONDS_MAX = 20
LOAD_SECONDS_MAX = 240
SETTLE_SECONDS = 0.3
WARM_CONNECTIONS = 200

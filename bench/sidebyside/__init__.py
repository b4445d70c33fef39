"""Proxies side by side on the lab's links, measured by the CPU time they take per unit of the same work."""

"""From decoded frames to what a network takes: sampling, geometry, pixels, pipelines."""

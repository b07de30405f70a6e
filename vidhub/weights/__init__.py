"""Published checkpoints: what they are (tables), where they come from (resolve), how their keys are renamed (keys)."""

"""Networks: one method a file; `layers` holds blocks that two or more of them use."""

"""The bodies of the command line's commands, one file each; `cli` has their options and prints what they give back."""

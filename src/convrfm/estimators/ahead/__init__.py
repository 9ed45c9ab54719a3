"""What a fit will take, before it begins: memory, time, and the solver that these allow."""

"""Many factories from one program: a stack for each factory and stage, rolled out stage by stage."""

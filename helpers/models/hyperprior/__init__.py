"""A mean-scale hyperprior codec's network: transform, context model, and both as one."""

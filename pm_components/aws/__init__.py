"""Building blocks on AWS that the components share; none of them knows a component."""

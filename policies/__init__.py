"""What every stack of this project is held to: rules, and the CrossGuard pack that serves them to Pulumi's engine."""

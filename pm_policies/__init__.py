"""The rules for every stack of this project, and the CrossGuard pack that serves them to Pulumi's engine."""

"""All that runs on a core device or stands for the devices beside it."""

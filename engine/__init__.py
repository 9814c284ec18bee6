"""What every modality shares: plan, schedule, samplers, context, reuse, session and the loop."""

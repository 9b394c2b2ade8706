"""What makes the engine `diffusers_image`: options, plans of requests, the pipeline, its batches."""

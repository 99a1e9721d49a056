"""What a chapter and its reference run share: data, schedule and measurements of one paper."""

"""``python -m helpers bench``: codecs side by side, and models in training, on this machine.

============ =============================================================================
``rd``       PSNR at equal bytes: `helpers.bench.rates`
``speed``    seconds, throughput and memory by image size: `helpers.bench.speed`
``lossless`` whole bytes, shares of the standards, exactness: `helpers.bench.lossless`
``lossy``    curves, BD-rates against JPEG 2000 and AVIF: `helpers.bench.lossy`
``all``      ``rd`` and ``speed``
``train``    models: images a second in training, share of the device: `helpers.bench.train`
============ =============================================================================

With ``--json`` one object is printed:

=================== ======================================================================
``images``          ``source`` (what they are), ``count``, ``pixels`` (all together),
                    ``dtypes`` (images of each), ``unreadable`` (files passed over),
                    ``sets`` (patients, fingerprint and licence of the book's own sets;
                    empty for a folder); not of ``train``
``machine``         ``device``, ``versions``, ``date``
``left_out``        what could not be measured: a list of ``codec``, ``images`` (how many),
                    ``what`` ("left out", or "not decoded": counted as inexact), ``reason``;
                    of ``train``: ``model``, ``reason``
``rate_distortion`` of ``rd``: fields in `helpers.bench.rates.rate_distortion`
``speed``           of ``speed``: fields in `helpers.bench.speed.speed`
``lossless``        of ``lossless``: one object a codec, fields in
                    `helpers.bench.lossless.lossless`
``lossy``           of ``lossy``: one object a codec, fields in `helpers.bench.lossy.lossy`
``train``           of ``train``: one object a model, fields in `helpers.bench.train.train`
=================== ======================================================================

``speed``, ``lossless`` and ``lossy`` are measured on one thread, ``train`` on all.
"""

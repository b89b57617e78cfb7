"""Why a model answered as it did: what a clip's answers depend on."""

"""Speech emotion recognition without a screen: usable from the pages, a shell (`python -m ser_core`) or a notebook.

Rows import downwards only (tests/test_layers.py guards it):

    errors        SerError and its few kinds
    audio         bytes -> Waveform: decode, resample, encode
    corpora       the corpora's facts and labels; folder -> table of clips
    locks         one process or thread at a time, by a lock on a file
    library       the corpora folder of this machine: what is installed, what was left out
    mapping       what the labels of several corpora become together
    evaluation    probabilities -> accuracy, UAR, F1, confusion
    features      Waveform -> log-mel, MFCC, chroma, f0 ...: frames, windows and a summary vector
    augment       Waveform -> Waveform: noise, pitch, stretch, gain, room; the table of effects
    splits        who is in train, validation and test
    classifiers   arrays -> probabilities: knn, mlp, cnn, cnn_lstm
    warm_up       compiles librosa's functions once, during set-up
    quality       is the recording good enough, and what to do about it
    download      getting a corpus whole, from its source or from an archive that somebody has
    syllables     how fast somebody speaks
    dataset       clips -> arrays and facts, with a cache
    recognizer    features + classifier + labels -> Prediction
    store         the files under models/
    doctor        what is wrong with a corpus, and what that does to a score
    own           corpora that people record here, clip by clip
    analysis      one clip from bytes to predictions, for the pages, the command line and the benchmarks
    exploration   what clips sound like: facts, trends by label
    training      clips + settings -> Recognizer, cross-validation
    clip_map      clips in two dimensions, those that sound alike side by side
    export        the features of a selection of clips as CSV or Parquet
    shipped       how the four shipped models are made
    cli           python -m ser_core

Importing the package loads neither tensorflow, keras, numba nor streamlit.
"""

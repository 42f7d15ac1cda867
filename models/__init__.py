"""Action-recognition networks (Keras 3, ``keras.ops`` only): how to build, load, run, train and evaluate them."""

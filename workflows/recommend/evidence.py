"""The citations and measurements that rules rest on."""

ULTRALYTICS_TABLE = "Ultralytics' table of YOLOv8-cls on ImageNet, top-1: n 69.0, s 73.8, m 76.8, l 76.8, x 79.0"
FLOWER_LADDER = "github.com/mpolinowski/yolo-i-know-flowers, 12,297 photos, 48 classes, top-1: n 79.2, s 83.2, m 85.8, l 85.0, x 86.1"
FLOWERS_PIXELS = "measured on 3,670 flower photos, size n, validation top-1: 192 px 0.944, 128 px 0.918"
FLOWERS_PRETRAINED = "measured on 3,670 flower photos at 128 px, test top-1: pretrained 0.911 after 8 epochs, from random weights 0.731 after 15"
FLOWERS_SQUARE = (
    "measured on flower photos: a different square transform in evaluation than in training cost 1-8 points of top-1"
)
CROP_THREADS = "nine public threads on lost borders, e.g. ultralytics/ultralytics#14534 and #8077"
DIGITS = "measured on 1,797 handwritten digits at 64 px from random weights: test top-1 0.989 after 12 epochs"
STRIDE = "the network's stride is 32: at 64 px its last map has 2 × 2 cells, at 224 px 7 × 7"
MODEL_COST = "measured on a 2-core CPU, time of a training step: n 1, s 2.5, m 7, x 25"
AUTOBATCH = "Ultralytics' AutoBatch plans with 60 % of a GPU's memory"
AUTOGLUON = "AutoGluon's presets: AdamW, cosine schedule, warm-up, patience 10"
FASTAI = "fastai's fine_tune: the new head learns faster than the pretrained body"
ROOT_SCALING = "square-root scaling of Adam's learning rate with the batch (Malladi et al. 2022, arXiv:2205.10287)"
LABEL_SMOOTHING = "Szegedy et al. 2016, arXiv:1512.00567; Müller et al. 2019, arXiv:1906.02629"
CLASS_WEIGHTS = "Cui et al. 2019, arXiv:1901.05555: full inverse weights overshoot on moderate imbalance"
IMAGENETTE = (
    "Imagenette's leaderboard: what is best after 5 epochs is not best after 80; short trainings need weak augmentation"
)
RANDOM_ERASING = "Zhong et al. 2017, arXiv:1708.04896"
DROPOUT = "Srivastava et al. 2014, JMLR 15"
MEANING = "what the labels mean: a changed image must keep its label"
DATASET = "the data set's own numbers"
DEVICE = "the device found on this machine"
YOU = "you"

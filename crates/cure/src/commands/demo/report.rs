//! `report.html`, and what the terminal shows of it.

use std::path::Path;
use std::time::Duration;

use cure_report::{Cell, Report, Section, Table};
use cure_tensor::Device;

use super::figures::Figures;
use super::recipe::{H, HEADLINE, PGD_EPSILONS, Plan, Role};
use super::sentences::{Facts, Pair, sanity};
use super::story::{Story, Subject};
use crate::measured::Measured;

/// The report in full.
pub(super) fn compose(story: &Story, figures: &Figures, folder: &Path, took: Duration) -> Report {
    let mut report = Report::new("Handwritten digits before and after CURE");
    for sentence in facts(story).summary() {
        // A number and its unit stay on one line.
        report = report.summary(sentence.replace(" %", "\u{a0}%"));
    }
    report = report
        .section(
            Section::new("Accuracy before and after")
                .paragraph(
                    "The control was fine-tuned from the same weights for as many epochs, on the \
                     same images in the same order, with everything as with CURE but the \
                     regulariser.",
                )
                .table(accuracies(story))
                .figure(figures.robust_accuracy.clone()),
        )
        .section(curvature(story))
        .section(training(story, figures));
    if let Some(images) = &figures.images {
        report = report.section(Section::new("Images").figure(images.clone()));
    }
    report = report.section(remarks(story)).section(next(folder));
    provenance(report, story, took)
}

/// The summary and the table, for a terminal.
pub(super) fn text(story: &Story, path: &Path) -> String {
    let summary = facts(story).summary().join("\n");
    format!("{}\n{summary}\n\nreport: {}\n", accuracies(story).to_text(), path.display())
}

fn facts(story: &Story) -> Facts {
    let each = |share: &dyn Fn(usize) -> Measured| [share(0), share(1), share(2)];
    let networks = &story.networks;
    let family = story.plans.iter().find(|plan| plan.is_headline()).map_or("", |plan| plan.family);
    Facts {
        trained_on: story.trained_on,
        tested_on: story.test.len(),
        epochs: Role::Cure.epochs(),
        attack: family,
        epsilon: HEADLINE,
        clean: each(&|index| Measured::from(&networks[index].evaluation.clean)),
        robust: each(&|index| Measured::from(networks[index].headline())),
        regularizer: [0, 1, 2].map(|index| networks[index].curvature.regularizer.mean),
    }
}

fn accuracies(story: &Story) -> Table {
    let columns = ["attack", "ε"].into_iter().chain(Role::ALL.map(Role::name));
    let caption = format!(
        "Accuracy on the {} test images, with 95 % intervals (Wilson) in percent. ε is the largest \
         change of a pixel, pixels being 0 to 1; FGSM is one step of ε, PGD-20 is 20 steps of ε/4 \
         from a random start.",
        story.test.len()
    );
    let row = |name: &str, epsilon: Cell, share: &dyn Fn(&Subject) -> Measured| {
        let shares = story.networks.iter().map(|subject| share(subject).percent_in_full().into());
        let shares: Vec<Cell> = shares.collect();
        [Cell::from(name), epsilon].into_iter().chain(shares)
    };
    let clean = row("none (clean)", Cell::Missing, &|subject| (&subject.evaluation.clean).into());
    let table = Table::new(caption, columns).row(clean);
    story.plans.iter().enumerate().fold(table, |table, (position, plan)| {
        let share = |subject: &Subject| (&subject.evaluation.attacks[position]).into();
        table.row(row(plan.family, Cell::Number(plan.epsilon, 2), &share))
    })
}

fn curvature(story: &Story) -> Section {
    let caption = format!(
        "Means over the {} test images with 95 % intervals; none of them was trained on.",
        story.test.len()
    );
    let columns = ["network", "‖∇ℓ(x + hz) − ∇ℓ(x)‖", "95 % interval", "‖∇ℓ(x)‖", "95 % interval"];
    let table = story.networks.iter().fold(Table::new(caption, columns), |table, subject| {
        let interval = |[low, high]: [f64; 2]| Cell::from(format!("{low:.3}–{high:.3}"));
        let measured = &subject.curvature;
        table.row([
            Cell::from(subject.role.name()),
            Cell::Number(measured.regularizer.mean, 3),
            interval(measured.regularizer.ci95),
            Cell::Number(measured.gradient.mean, 3),
            interval(measured.gradient.ci95),
        ])
    });
    Section::new("Curvature")
        .paragraph(format!(
            "CURE penalises how much the gradient of the loss with respect to the image changes \
             over a step of length h = {H} along z, the sign of that gradient scaled to length 1: \
             ‖∇ℓ(x + hz) − ∇ℓ(x)‖. Where it is small the loss is nearly flat over the step, and a \
             step of an attack gains little. A network that is very sure of everything has small \
             gradients at x itself, so the gradient's own length stands beside it."
        ))
        .table(table)
}

fn training(story: &Story, figures: &Figures) -> Section {
    let [original, _, cure] = &story.networks;
    let network = &original.loaded.network;
    Section::new("Training")
        .paragraph(format!(
            "The network, {}, has {} parameters in two convolutions and two linear layers. It was \
             trained for {} epochs on {} images with Adam (learning rate {}), then fine-tuned for \
             {} epochs (learning rate {}), with CURE at γ = {} and h rising to {H} ({}). The \
             folders original, control and cure hold each training in full.",
            network.architecture().name(),
            network.parameter_count(),
            Role::Original.epochs(),
            story.trained_on,
            original.training.learning_rate,
            Role::Cure.epochs(),
            cure.training.learning_rate,
            cure.training.gamma,
            cure.training.h,
        ))
        .figure(figures.accuracy.clone())
        .figure(figures.loss.clone())
}

fn remarks(story: &Story) -> Section {
    let tested_on = story.test.len();
    let mut pairs = Vec::new();
    let mut last = (PGD_EPSILONS[PGD_EPSILONS.len() - 1], 0);
    for subject in &story.networks {
        let results = || story.plans.iter().zip(&subject.evaluation.attacks);
        for (fgsm_plan, fgsm) in results().filter(|(plan, _)| plan.family == "FGSM") {
            let same = |plan: &Plan| plan.family != "FGSM" && plan.epsilon == fgsm_plan.epsilon;
            for (_, pgd) in results().filter(|(plan, _)| same(plan)) {
                let (name, epsilon) = (subject.role.name(), fgsm_plan.epsilon);
                pairs.push(Pair { name, epsilon, fgsm: fgsm.robust, pgd: pgd.robust });
            }
        }
        if let Some(result) = subject.evaluation.attacks.last() {
            last.1 = last.1.max(result.robust);
        }
    }
    let mut section = Section::new("What these numbers do not say")
        .paragraph(
            "A robust accuracy is an upper bound: a stronger attack can only lower it. FGSM and \
             PGD are where an evaluation begins, not where it ends.",
        )
        .paragraph(sanity(&pairs, last, tested_on))
        .paragraph(format!(
            "The data are tiny, {tested_on} test images of 8×8 pixels, and nothing here carries \
             over to photographs but the procedure. The validation images are drawn from the \
             training part, the test images are the last of the data and probably by other \
             writers: accuracies of the two need not agree."
        ))
        .paragraph(format!(
            "γ and h were picked while this program was written, from some twenty settings whose \
             results on these data, test images included, were seen; most did about as well. And \
             it is one run with one seed: the intervals cover the choice of test images, not the \
             luck of training. Another seed: cure demo --seed {}.",
            story.seed.wrapping_add(1)
        ));
    for subject in &story.networks {
        for warning in &subject.evaluation.warnings {
            section = section.paragraph(format!("Warning ({}): {warning}", subject.role.name()));
        }
    }
    section
}

fn next(folder: &Path) -> Section {
    let place = |path: &str| {
        let text = folder.join(path).display().to_string();
        if text.contains(char::is_whitespace) { format!("\"{text}\"") } else { text }
    };
    Section::new("Next, on your own network")
        .paragraph("How robust is it? DIR holds CIFAR-10, net.pt comes from PyTorch:")
        .code(
            "cure evaluate --data cifar10:DIR --weights net.pt --normalize cifar10 \\\n    \
             --attack pgd:norm=linf,eps=8/255,steps=20",
        )
        .paragraph("Fine-tune it with CURE, then evaluate runs/cure/weights.safetensors:")
        .code(
            "cure finetune --method cure --data cifar10:DIR --weights net.pt --normalize cifar10 \
             \\\n    --batch-norm frozen --gamma 0.4 --h linear:0.02..0.6@6 \\\n    \
             --epochs 16 --images-per-epoch 12000 --learning-rate exponential:8e-4..8e-6 \\\n    \
             --batch 100 --validation 1000 --out runs/cure",
        )
        .paragraph("A harder attack on the network of this page, and its fine-tuning once more:")
        .code(format!(
            "cure evaluate --data digits --weights {} \\\n    --attack \
             pgd:norm=linf,eps={HEADLINE},steps=100,restarts=5\n\
             cure finetune --config {} --out runs/again",
            place("cure/weights.safetensors"),
            place("cure/config.toml"),
        ))
}

fn provenance(mut report: Report, story: &Story, took: Duration) -> Report {
    let test = &story.test;
    let device = match cure_tensor::device() {
        Device::Cpu => "cpu; every number of threads gives the same numbers".to_owned(),
        device => format!("{device}, {}", cure_tensor::precision()),
    };
    report = report
        .provenance("program", concat!("cure ", env!("CARGO_PKG_VERSION")))
        .provenance("command", format!("cure demo --seed {}", story.seed))
        .provenance("seed", story.seed.to_string())
        .provenance("device", device)
        .provenance("seconds it took", format!("{:.0}", took.as_secs_f64()))
        .provenance(
            "data",
            "digits: optical recognition of handwritten digits (Alpaydin and Kaynak 1998), \
             embedded in the program",
        )
        .provenance(
            "images",
            format!("{} for training, {} for testing", story.trained_on, test.len()),
        )
        .provenance("test data, sha256", test.sha256());
    for subject in &story.networks {
        let key = subject.role.key();
        report = report.provenance(
            format!("{}, weights", subject.role.name()),
            format!("{key}/weights.safetensors, sha256 {}", subject.loaded.sha256),
        );
    }
    let configurations = Role::ALL.map(|role| format!("{}/config.toml", role.key()));
    report = report.provenance("configurations", configurations.join(", "));
    report.provenance("all results", "results.json")
}

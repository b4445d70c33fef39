//! How a flow would be treated: the compiled policy's own answer, the same that the cores compute.

use sluice_api::{ApiError, ErrorCode, Explain, Explained, ExplainedStep, Reply};
use sluice_policy::{Policy, Question, SegmentIndex, explain};
use sluice_schema::Configuration;

use crate::manage::{internal, refusal};
use crate::process::Daemon;

impl Daemon {
    pub(crate) fn explain(&self, asked: &Explain) -> Result<Reply, ApiError> {
        let Some((generation, configuration)) = self.current().map_err(refusal)? else {
            return Err(ApiError::new(
                ErrorCode::NotFound,
                "no configuration has been applied yet, so every flow is forwarded at layer 2; apply one first",
            ));
        };
        let segment = segment(&configuration, asked.segment.as_deref())?;
        let policy = Policy::compile(&configuration).map_err(|error| internal(&error))?;
        let question = Question {
            host: asked.host.as_deref(),
            client: asked.client,
            server: asked.server,
            port: asked.port,
            segment,
            vlan: asked.vlan,
        };
        let explanation = explain(&policy, &question);
        let steps = explanation.steps.into_iter().map(|step| ExplainedStep {
            text: step.text,
            code: step.code,
        });
        Ok(Reply::Explained(Explained {
            generation: generation.0,
            verdict: explanation.verdict,
            code: explanation.code,
            steps: steps.collect(),
        }))
    }
}

fn segment(configuration: &Configuration, name: Option<&str>) -> Result<SegmentIndex, ApiError> {
    let Some(name) = name else {
        return Ok(SegmentIndex(0));
    };
    let segments = &configuration.appliance.segments;
    let position = segments
        .iter()
        .position(|segment| segment.name.as_str() == name);
    position
        .and_then(|position| u16::try_from(position).ok())
        .map(SegmentIndex)
        .ok_or_else(|| {
            let names: Vec<_> = segments
                .iter()
                .map(|segment| format!("`{}`", segment.name))
                .collect();
            let message = format!(
                "there is no segment `{name}`; the configuration has {}",
                names.join(", ")
            );
            ApiError::new(ErrorCode::NotFound, message)
        })
}

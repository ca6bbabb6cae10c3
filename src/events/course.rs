//! The course enrolments of the Open edX platform's event-bus experiment.

use serde_json::{Value, json};

/// `CourseEventKey`.
pub const KEY_SCHEMA: &str = r#"{"type": "record", "name": "CourseEventKey", "fields": [
    {"name": "course_key", "type": "string"}]}"#;

/// `CourseEnrollmentEventValue`.
pub const VALUE_SCHEMA: &str = r#"{"type": "record", "name": "CourseEnrollmentEventValue", "fields": [
    {"name": "course_key", "type": "string"},
    {"name": "is_enroll", "type": "boolean"},
    {"name": "user", "type": "string"}]}"#;

/// A student who is enrolled in a course, or no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CourseEvent {
    pub course_key: String,
    pub is_enroll: bool,
    /// The student's name.
    pub user: String,
}

impl CourseEvent {
    /// The event of a number: course `edX+NUMBER`, enrolled where it is even.
    pub fn numbered(number: u64, student: &str) -> Self {
        Self {
            course_key: format!("edX+{number}"),
            is_enroll: number.is_multiple_of(2),
            user: student.to_owned(),
        }
    }

    /// The event that a decoded value is, if it is one.
    pub fn of(value: &Value) -> Option<Self> {
        let text = |name: &str| Some(value.get(name)?.as_str()?.to_owned());
        Some(Self {
            course_key: text("course_key")?,
            is_enroll: value.get("is_enroll")?.as_bool()?,
            user: text("user")?,
        })
    }

    pub fn key(&self) -> Value {
        json!({"course_key": self.course_key})
    }

    pub fn value(&self) -> Value {
        json!({"course_key": self.course_key, "is_enroll": self.is_enroll, "user": self.user})
    }
}
